-- Create "guest_claims" table
CREATE TABLE `guest_claims` (`guest_id` varchar(64) NOT NULL, `customer_id` varchar(64) NOT NULL, `claimed_at` datetime(6) NOT NULL, PRIMARY KEY (`guest_id`), INDEX `guestclaim_customer_id` (`customer_id`)) CHARSET utf8mb4 COLLATE utf8mb4_0900_bin;

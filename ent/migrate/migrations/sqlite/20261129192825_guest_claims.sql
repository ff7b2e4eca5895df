-- Create "guest_claims" table
CREATE TABLE `guest_claims` (`guest_id` text NOT NULL, `customer_id` text NOT NULL, `claimed_at` datetime NOT NULL, PRIMARY KEY (`guest_id`));
-- Create index "guestclaim_customer_id" to table: "guest_claims"
CREATE INDEX `guestclaim_customer_id` ON `guest_claims` (`customer_id`);

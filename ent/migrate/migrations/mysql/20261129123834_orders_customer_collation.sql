-- Modify "orders" table
ALTER TABLE `orders` MODIFY COLUMN `customer_id` varchar(64) NOT NULL COLLATE utf8mb4_0900_bin;

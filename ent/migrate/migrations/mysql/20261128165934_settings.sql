-- Create "settings" table
CREATE TABLE `settings` (`name` varchar(64) NOT NULL, `value` varchar(255) NOT NULL, PRIMARY KEY (`name`)) CHARSET utf8mb4 COLLATE utf8mb4_bin;

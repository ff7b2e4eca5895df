-- Modify "products" table
ALTER TABLE `products` ADD CONSTRAINT `reserve_not_negative` CHECK (`reserve` >= 0), ADD COLUMN `reserve` bigint NOT NULL DEFAULT 0;
-- Modify "stock_epochs" table
ALTER TABLE `stock_epochs` ADD COLUMN `mode` varchar(8) NOT NULL DEFAULT "redis", ADD COLUMN `undrained` bool NOT NULL DEFAULT 0, ADD COLUMN `redis_seen_at` datetime(6) NULL, ADD COLUMN `reserve_share` tinyint NOT NULL DEFAULT 0;

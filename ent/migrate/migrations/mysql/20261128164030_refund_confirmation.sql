-- Modify "charges" table
ALTER TABLE `charges` DROP CHECK `charge_state_known`, ADD CONSTRAINT `charge_state_known` CHECK (state BETWEEN 1 AND 6), ADD COLUMN `voided_at` datetime(6) NULL, ADD COLUMN `recheck_at` datetime(6) NULL, ADD INDEX `charge_recheck_at` (`recheck_at`);
-- Each voided charge is rechecked once more: so far the provider was asked by the time of the line, not of the voiding.
UPDATE `charges` SET `voided_at` = `updated_at`, `recheck_at` = `updated_at` WHERE `state` = 4;
-- Modify "refunds" table
ALTER TABLE `refunds` ADD CONSTRAINT `refund_positive` CHECK (`amount` > 0), ADD COLUMN `actor` varchar(64) NOT NULL DEFAULT "", ADD COLUMN `request_key` varchar(128) NULL, ADD COLUMN `confirmed_at` datetime(6) NULL, ADD COLUMN `attempts` bigint NOT NULL DEFAULT 0, ADD COLUMN `next_try_at` datetime(6) NOT NULL DEFAULT "1970-01-01 00:00:00.000000", DROP INDEX `order_id`, ADD INDEX `refund_confirmed_at_next_try_at` (`confirmed_at`, `next_try_at`), ADD UNIQUE INDEX `refund_order_id_request_key` (`order_id`, `request_key`);
-- Refunds so far were made by the same call that the provider was asked in.
UPDATE `refunds` SET `confirmed_at` = `created_at`, `next_try_at` = `created_at`;
-- Every refund says when it is tried.
ALTER TABLE `refunds` ALTER COLUMN `next_try_at` DROP DEFAULT;

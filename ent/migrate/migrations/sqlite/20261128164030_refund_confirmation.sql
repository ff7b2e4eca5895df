-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_charges" table
CREATE TABLE `new_charges` (`order_id` text NOT NULL, `charge_id` text NOT NULL, `state` integer NOT NULL, `amount` integer NOT NULL, `currency` text NOT NULL, `decline_code` text NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `voided_at` datetime NULL, `recheck_at` datetime NULL, PRIMARY KEY (`order_id`), CONSTRAINT `amount_not_negative` CHECK (amount >= 0), CONSTRAINT `charge_state_known` CHECK (state BETWEEN 1 AND 6));
-- Copy rows from old table "charges" to new temporary table "new_charges". Each voided charge is rechecked once more: so far the provider was asked by the time of the line, not of the voiding.
INSERT INTO `new_charges` (`order_id`, `charge_id`, `state`, `amount`, `currency`, `decline_code`, `created_at`, `updated_at`, `voided_at`, `recheck_at`) SELECT `order_id`, `charge_id`, `state`, `amount`, `currency`, `decline_code`, `created_at`, `updated_at`, CASE WHEN `state` = 4 THEN `updated_at` END, CASE WHEN `state` = 4 THEN `updated_at` END FROM `charges`;
-- Drop "charges" table after copying rows
DROP TABLE `charges`;
-- Rename temporary table "new_charges" to "charges"
ALTER TABLE `new_charges` RENAME TO `charges`;
-- Create index "charges_charge_id_key" to table: "charges"
CREATE UNIQUE INDEX `charges_charge_id_key` ON `charges` (`charge_id`);
-- Create index "charge_state_created_at" to table: "charges"
CREATE INDEX `charge_state_created_at` ON `charges` (`state`, `created_at`);
-- Create index "charge_recheck_at" to table: "charges"
CREATE INDEX `charge_recheck_at` ON `charges` (`recheck_at`);
-- Create "new_refunds" table
CREATE TABLE `new_refunds` (`refund_id` text NOT NULL, `order_id` text NOT NULL, `amount` integer NOT NULL, `currency` text NOT NULL, `reason` text NOT NULL, `created_at` datetime NOT NULL, `actor` text NOT NULL DEFAULT (''), `request_key` text NULL, `confirmed_at` datetime NULL, `attempts` integer NOT NULL DEFAULT (0), `next_try_at` datetime NOT NULL, PRIMARY KEY (`refund_id`), CONSTRAINT `refund_positive` CHECK (amount > 0));
-- Copy rows from old table "refunds" to new temporary table "new_refunds". Refunds so far were made by the same call that the provider was asked in.
INSERT INTO `new_refunds` (`refund_id`, `order_id`, `amount`, `currency`, `reason`, `created_at`, `confirmed_at`, `next_try_at`) SELECT `refund_id`, `order_id`, `amount`, `currency`, `reason`, `created_at`, `created_at`, `created_at` FROM `refunds`;
-- Drop "refunds" table after copying rows
DROP TABLE `refunds`;
-- Rename temporary table "new_refunds" to "refunds"
ALTER TABLE `new_refunds` RENAME TO `refunds`;
-- Create index "refund_order_id_request_key" to table: "refunds"
CREATE UNIQUE INDEX `refund_order_id_request_key` ON `refunds` (`order_id`, `request_key`);
-- Create index "refund_confirmed_at_next_try_at" to table: "refunds"
CREATE INDEX `refund_confirmed_at_next_try_at` ON `refunds` (`confirmed_at`, `next_try_at`);
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;

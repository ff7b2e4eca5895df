-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_sent_mails" table
CREATE TABLE `new_sent_mails` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `order_id` text NOT NULL, `kind` text NOT NULL, `sent_at` datetime NOT NULL, `recipient` text NOT NULL DEFAULT (''), `skipped` text NOT NULL DEFAULT (''));
-- Copy rows from old table "sent_mails" to new temporary table "new_sent_mails"
INSERT INTO `new_sent_mails` (`id`, `order_id`, `kind`, `sent_at`) SELECT `id`, `order_id`, `kind`, `sent_at` FROM `sent_mails`;
-- Drop "sent_mails" table after copying rows
DROP TABLE `sent_mails`;
-- Rename temporary table "new_sent_mails" to "sent_mails"
ALTER TABLE `new_sent_mails` RENAME TO `sent_mails`;
-- Create index "sentmail_order_id_kind" to table: "sent_mails"
CREATE UNIQUE INDEX `sentmail_order_id_kind` ON `sent_mails` (`order_id`, `kind`);
-- Create index "sentmail_recipient_sent_at" to table: "sent_mails"
CREATE INDEX `sentmail_recipient_sent_at` ON `sent_mails` (`recipient`, `sent_at`);
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;

-- Modify "sent_mails" table
ALTER TABLE `sent_mails` ADD COLUMN `recipient` varchar(22) NOT NULL DEFAULT "", ADD COLUMN `skipped` varchar(32) NOT NULL DEFAULT "", ADD INDEX `sentmail_recipient_sent_at` (`recipient`, `sent_at`);

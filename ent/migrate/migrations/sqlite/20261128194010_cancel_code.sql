-- Add column "cancel_code" to table: "order_cancellations"
ALTER TABLE `order_cancellations` ADD COLUMN `cancel_code` text NOT NULL DEFAULT ('');
-- Add column "duplicate_of" to table: "order_cancellations"
ALTER TABLE `order_cancellations` ADD COLUMN `duplicate_of` text NOT NULL DEFAULT ('');
-- Add column "decline_code" to table: "order_cancellations"
ALTER TABLE `order_cancellations` ADD COLUMN `decline_code` text NOT NULL DEFAULT ('');
-- Add column "cancel_code" to table: "orders"
ALTER TABLE `orders` ADD COLUMN `cancel_code` text NOT NULL DEFAULT ('');
-- Add column "duplicate_of" to table: "orders"
ALTER TABLE `orders` ADD COLUMN `duplicate_of` text NOT NULL DEFAULT ('');
-- Add column "decline_code" to table: "orders"
ALTER TABLE `orders` ADD COLUMN `decline_code` text NOT NULL DEFAULT ('');
-- Add column "cancel_code" to table: "stock_returns"
ALTER TABLE `stock_returns` ADD COLUMN `cancel_code` text NOT NULL DEFAULT ('');
-- Add column "duplicate_of" to table: "stock_returns"
ALTER TABLE `stock_returns` ADD COLUMN `duplicate_of` text NOT NULL DEFAULT ('');
-- Add column "decline_code" to table: "stock_returns"
ALTER TABLE `stock_returns` ADD COLUMN `decline_code` text NOT NULL DEFAULT ('');
-- Rows so far have only the text; its beginning is the code.
UPDATE `order_cancellations` SET `cancel_code` = CASE WHEN `reason` LIKE 'card_declined: %' THEN 'card_declined' WHEN `reason` LIKE 'duplicate of %' THEN 'duplicate' WHEN `reason` IN ('expired', 'payment_unknown', 'payment_voided') THEN `reason` WHEN `reason` = 'lost with its Redis' THEN 'lost' WHEN `reason` = 'charged after it was cancelled' THEN 'charged_late' WHEN `reason` = 'by the customer' OR `reason` LIKE 'by the customer: %' THEN 'by_customer' WHEN `reason` = 'by the shop' OR `reason` LIKE 'by the shop: %' THEN 'by_shop' ELSE '' END, `duplicate_of` = CASE WHEN `reason` LIKE 'duplicate of %' THEN SUBSTR(`reason`, 14, 26) ELSE '' END, `decline_code` = CASE WHEN `reason` LIKE 'card_declined: %' THEN SUBSTR(`reason`, 16, 64) ELSE '' END WHERE `reason` <> '';
-- Rows so far have only the text; its beginning is the code.
UPDATE `orders` SET `cancel_code` = CASE WHEN `cancel_reason` LIKE 'card_declined: %' THEN 'card_declined' WHEN `cancel_reason` LIKE 'duplicate of %' THEN 'duplicate' WHEN `cancel_reason` IN ('expired', 'payment_unknown', 'payment_voided') THEN `cancel_reason` WHEN `cancel_reason` = 'lost with its Redis' THEN 'lost' WHEN `cancel_reason` = 'charged after it was cancelled' THEN 'charged_late' WHEN `cancel_reason` = 'by the customer' OR `cancel_reason` LIKE 'by the customer: %' THEN 'by_customer' WHEN `cancel_reason` = 'by the shop' OR `cancel_reason` LIKE 'by the shop: %' THEN 'by_shop' ELSE '' END, `duplicate_of` = CASE WHEN `cancel_reason` LIKE 'duplicate of %' THEN SUBSTR(`cancel_reason`, 14, 26) ELSE '' END, `decline_code` = CASE WHEN `cancel_reason` LIKE 'card_declined: %' THEN SUBSTR(`cancel_reason`, 16, 64) ELSE '' END WHERE `state` = 2 AND `cancel_reason` <> '';
-- Rows so far have only the text; its beginning is the code.
UPDATE `stock_returns` SET `cancel_code` = CASE WHEN `reason` LIKE 'card_declined: %' THEN 'card_declined' WHEN `reason` LIKE 'duplicate of %' THEN 'duplicate' WHEN `reason` IN ('expired', 'payment_unknown', 'payment_voided') THEN `reason` WHEN `reason` = 'lost with its Redis' THEN 'lost' WHEN `reason` = 'charged after it was cancelled' THEN 'charged_late' WHEN `reason` = 'by the customer' OR `reason` LIKE 'by the customer: %' THEN 'by_customer' WHEN `reason` = 'by the shop' OR `reason` LIKE 'by the shop: %' THEN 'by_shop' ELSE '' END, `duplicate_of` = CASE WHEN `reason` LIKE 'duplicate of %' THEN SUBSTR(`reason`, 14, 26) ELSE '' END, `decline_code` = CASE WHEN `reason` LIKE 'card_declined: %' THEN SUBSTR(`reason`, 16, 64) ELSE '' END WHERE `reason` <> '';

-- Modify "charges" table
ALTER TABLE `charges` ADD COLUMN `attempt` tinyint NOT NULL DEFAULT 1;

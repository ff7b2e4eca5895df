-- Add column "attempt" to table: "charges"
ALTER TABLE `charges` ADD COLUMN `attempt` integer NOT NULL DEFAULT (1);

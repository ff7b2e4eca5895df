// Package schema defines the tables. Migrations are made from it, reviewed, and applied by
// `spillway migrate up`; nothing is ever migrated at boot, except the embedded database.
package schema

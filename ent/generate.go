// Package ent is the schema of Spillway's SQL database (schema/, by hand) and the code generated from it (the rest).
package ent

// The features, each of which package store or ent/migrate/new uses: upsert for inserts that leave what is there, execquery for the drain's
// and the audit's statements, modifier for the sums of an order's refunds, lock for SELECT ... FOR UPDATE, versioned-migration for new
// migrations.
//go:generate go tool ent generate --feature sql/upsert,sql/execquery,sql/modifier,sql/lock,sql/versioned-migration ./schema

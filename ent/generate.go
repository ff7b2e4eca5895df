// Package ent is the schema of Spillway's SQL database (schema/, by hand) and the code generated from it (the rest).
package ent

//go:generate go run ./generate

// Package store keeps orders, stock, money and shipments in SQL: MySQL 8 or later, or SQLite embedded. It holds small
// repositories over one DB. What the drain writes is raw multi-row SQL, because one statement for a hundred rows is what
// lets SQL keep up with Redis; the rest goes through ent. Only this package knows ent.
package store

// Package doctor diagnoses the configuration of a process and what it depends on: Redis, SQL, the queue, the machine, and the state of the shop.
//
// Its checks run in parallel. A check that needs another one, such as that a server can be reached, is skipped when that one did not pass. They only
// read: no check opens an epoch, creates a key, topic, table or file, or writes a row. Results contain no secrets.
package doctor

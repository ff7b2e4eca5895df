package main

import (
	"context"
)

// sqlStatus is a reading of MySQL's counters, which cover all clients: nothing else may use the server meanwhile.
type sqlStatus struct {
	statements int // all statements but the benchmark's own
	fsyncs     int // of the redo log: a group commit is one
}

// status reads the counters.
func (d *database) status(ctx context.Context) (s sqlStatus, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	own := d.statements.Add(1)
	rows, err := d.db.QueryContext(ctx, "SHOW GLOBAL STATUS WHERE Variable_name IN ('Questions', 'Innodb_os_log_fsyncs')")
	if err != nil {
		return s, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var value int
		if err := rows.Scan(&name, &value); err != nil {
			return s, err
		}
		if name == "Questions" {
			s.statements = value - int(own)
		} else {
			s.fsyncs = value
		}
	}
	return s, rows.Err()
}

// perOrder returns the growth since an earlier reading, divided by the orders.
func (s sqlStatus) perOrder(earlier sqlStatus, orders int) (statements, fsyncs float64) {
	return ratio(float64(s.statements-earlier.statements), float64(orders)), ratio(float64(s.fsyncs-earlier.fsyncs), float64(orders))
}

package main

import (
	"slices"
)

// median returns the middle of the values, or the mean of the two in the middle; 0 if there are none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// medianRow returns the median of each number of rows of one name, and the sum of their errors.
func medianRow(rows []row) row {
	out := row{Name: rows[0].Name, Mail: rows[0].Mail, CPU: map[string]float64{}}
	of := func(get func(row) float64) float64 {
		values := make([]float64, len(rows))
		for i, r := range rows {
			values[i] = get(r)
		}
		return median(values)
	}
	out.PerSecond = of(func(r row) float64 { return r.PerSecond })
	out.RatioToBare = of(func(r row) float64 { return r.RatioToBare })
	out.RatioToSQL = of(func(r row) float64 { return r.RatioToSQL })
	for _, r := range rows {
		for process := range r.CPU {
			out.CPU[process] = of(func(r row) float64 { return r.CPU[process] })
		}
		for code, n := range r.Errors {
			if out.Errors == nil {
				out.Errors = map[string]int{}
			}
			out.Errors[code] += n
		}
	}
	for i, field := range out.optional() {
		var values []float64
		for _, r := range rows {
			if v := *r.optional()[i]; v != nil {
				values = append(values, *v)
			}
		}
		if len(values) > 0 {
			*field = ptr(median(values))
		}
	}
	return out
}

// optional lists the fields that not every row has, in a fixed order.
func (r *row) optional() []**float64 {
	return []**float64{
		&r.P50, &r.P99, &r.MailsPerSecond, &r.MailsAfter, &r.SQLPerOrder, &r.FsyncsPerOrder, &r.ShippedShare, &r.OfferedPerSec,
		&r.GoodputShare, &r.P99ToHalf, &r.RefusedP50, &r.RefusedP99,
		&r.ShippedP50, &r.ShippedP99, &r.ResponseP50, &r.ResponseP99, &r.EventP99, &r.RatioToOff, &r.SpansPerOrder,
	}
}

// Package pipeline gathers the figures of every stage of an order's path, of all processes of a shop, for operators.
//
// What a process does is in its metrics, which Recorder reads once a second: nothing is counted twice. Each process publishes its report on the
// Board, a hash in Redis, so that a process with an API shows those of all. What waits is in Redis and SQL, and is read from there by Viewer
// while somebody watches, so that the backlog of a dead worker is visible. A figure that cannot be known is absent.
//
//	file          contents
//	stage.go      the stages, and which metrics and breakers belong to each
//	counts.go     the counters of each stage, from the metrics
//	report.go     the report of one process: rates over Window
//	recorder.go   makes the reports of this process
//	board.go      the reports of all processes, in Redis
//	view.go       the shop at one moment
//	viewer.go     reads it
package pipeline

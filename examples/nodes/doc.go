// Package nodes holds the test of one application on several machines: processes of examples/todo behind a proxy that knows no
// stickiness, on each log that they can share, while clients of every transport look on and processes are killed.
package nodes

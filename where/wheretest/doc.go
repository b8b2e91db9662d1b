// Package wheretest holds package where against real databases: its tests generate filters and rows, and want the matcher,
// SQLite and PostgreSQL to find the same rows in the same order. It is a module of its own, so that nothing else depends
// on the drivers.
package wheretest

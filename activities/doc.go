// Package activities holds the steps that touch the world: one struct per upstream, each with the small interfaces it
// needs. The workflows call them, the worker builds and registers them.
//
// Every step is idempotent by itself. It looks before it writes, writes only what differs, reads back what it wrote, and
// says whether it created, updated or left unchanged; so it may die at any point, run again, or run long after the news
// that caused it. Steps do not retry on their own: they return a fault of a known kind (errors.go), and Temporal does.
package activities

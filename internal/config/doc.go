// Package config reads what the programs need to know from the environment: one struct, whose tags are the only place
// where a variable's name, default and meaning stand. Every fault is reported at once, in words that say what to do and
// never show a secret, and docs/configuration.md is made from the same tags.
//
// It opens nothing and asks nobody: whether a token is accepted or a status exists is for `starter check` to find out.
// The mains of worker and starter call Load; the sandbox sets the environment of the processes it starts.
package config

//go:generate go run ./cmd/configdoc ../../docs/configuration.md

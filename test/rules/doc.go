// Package rules tests the repository itself: the rules of this house that no compiler and no ready linter knows. Money
// touches no float, each name of a workflow is written once, imports run one way, packages say what they are, and the
// documents name only what exists.
//
// It holds tests and nothing else, and nobody imports it. Each rule is a function from a file tree to its violations,
// and each is also run on a seeded tree that breaks it, so that a rule which has gone blind fails.
package rules

// Package seeded holds a workflow with every fault that workflowcheck has to find. `make workflowcheck` fails if it
// finds fewer: there were releases of Go and of the tool with which it silently found nothing.
package seeded

import (
	"time"

	"go.temporal.io/sdk/workflow"
)

// Faulty must never be registered.
func Faulty(ctx workflow.Context, amounts map[string]int) (int, error) {
	total := int(time.Now().Unix())
	for _, amount := range amounts {
		total += amount
	}
	go func() { total++ }()
	return total + hidden(), workflow.Sleep(ctx, time.Second)
}

func hidden() int { return time.Now().Second() }

// Register makes Faulty known as a workflow, without which the tool does not look at it.
func Register(r interface{ RegisterWorkflow(w any) }) { r.RegisterWorkflow(Faulty) }

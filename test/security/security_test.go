// Package security attacks the system as docs/security.md says that it is attacked, and looks through everything that it
// leaves behind. What concerns one package alone is tested there; here is what takes several, or whole processes.
//
// It holds tests and nothing else, and nobody imports it.
package security

import (
	"testing"
	"time"

	"github.com/tallystick/tallystick/test/harness"
)

// patience is how long a handful of orders may take on a machine that has other things to do.
const patience = 2 * time.Minute

// glance is the time between two looks at a fact that is waited for.
const glance = 20 * time.Millisecond

func TestMain(m *testing.M) { harness.Main(m) }

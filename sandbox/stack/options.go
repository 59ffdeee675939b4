package stack

import (
	"cmp"
	"io"
	"time"

	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
)

// The settings by which things happen within seconds on a machine that is all ours. Options.Env overrides them.
const (
	defaultSyncInterval = 5 * time.Second
	// defaultBooksInterval is longer, since each reconciliation looks at all of a day's payments on both sides.
	defaultBooksInterval = 20 * time.Second
	// defaultWatchInterval lets `starter status` show what is wrong before people have stopped wondering.
	defaultWatchInterval = 15 * time.Second
	// defaultMissedSweeps is a minute's: one sweep over much takes longer than the interval is short.
	defaultMissedSweeps = int(time.Minute / defaultSyncInterval)
	// defaultOverlap lets every sweep see all that happened since the stack was started, late refunds included.
	defaultOverlap     = 24 * time.Hour
	defaultSettleDelay = 500 * time.Millisecond
	// defaultPostDelay is the shortest that may be set for shipments, of each of which the customer is told.
	defaultPostDelay = time.Second
	// defaultRedelivery replaces the ten minutes that HighLevel lets pass before it sends a webhook once more.
	defaultRedelivery = 2 * time.Second
	// unlimited is what a client is told where its server has no limit.
	unlimited = 1000
	// margin is the share of a vendor's limit that the workers use.
	margin = 0.95
)

// Options say what is started. Dir is needed; all else has a default.
type Options struct {
	// Dir is the folder that holds everything that is written: binaries, database, logs, keys. It is made if need be.
	Dir string
	// Workers is how many worker processes run, 1 if 0.
	Workers int
	// WorkerBinary and StarterBinary are programs that exist already. Empty ones are built from this checkout.
	WorkerBinary, StarterBinary string
	// BuildFlags are added to go build, such as -race or -cover.
	BuildFlags []string
	// DatabaseURL is the store's; a SQLite file in Dir if empty.
	DatabaseURL string
	// Port is the front door's, a free one if 0.
	Port int
	// Temporal is the server that is started or used.
	Temporal Temporal
	// GHL and Sage are the sandbox servers' options, faults and limits included. Where GHL names no webhook retry
	// interval, it is two seconds.
	GHL  ghl.Options
	Sage sage.Options
	// Authorize is a query for the page on which HighLevel's users let an app in, such as "auto=" with a location: it
	// agrees at once. See ghl.Server.AuthorizeURL.
	Authorize string
	// Env is set for the processes on top of what the stack sets, WorkerEnv and StarterEnv for one kind of them. What
	// the caller's own environment says about Tallystick is not passed on.
	Env, WorkerEnv, StarterEnv map[string]string
	// Progress is told in sentences what takes long. Nil tells nobody.
	Progress io.Writer
}

// Temporal is the server on which the stack runs.
type Temporal struct {
	// Address and Namespace are those of a server that exists; the other TEMPORAL_* variables of the environment are
	// then used as well. No other workers of Tallystick may serve that namespace. Only search attributes and closed
	// workflows stay behind there. With an empty Address a server is started.
	Address, Namespace string
	// Binary is what devserver.Binary returned. If empty, it is asked for.
	Binary string
	// UseTemporalOnPath starts the Temporal CLI's server instead of building ours.
	UseTemporalOnPath bool
	// KeepBuilding is devserver.Options.KeepBuilding.
	KeepBuilding bool
	// OnDisk keeps the server's state in files, so that it survives Kill and Restart.
	OnDisk bool
	// Headless leaves the web UI out.
	Headless bool
	// Port and UIPort are the server's ports, free ones if 0.
	Port, UIPort int
	// DynamicConfig overrides server settings: name to JSON value.
	DynamicConfig map[string]string
}

func (o Options) withDefaults() Options {
	o.Workers = max(o.Workers, 1)
	o.GHL.Webhooks.RetryInterval = cmp.Or(o.GHL.Webhooks.RetryInterval, defaultRedelivery)
	if o.GHL.Limits == (ghl.Limits{}) {
		o.GHL.Limits = ghl.PublishedLimits()
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	return o
}

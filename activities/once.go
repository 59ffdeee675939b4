package activities

import (
	"context"
	"errors"
	"time"

	"github.com/tallystick/tallystick/clients/transport"
)

// once is the making of a record at Sage that is to be made exactly once, although Sage has no key by which it would know
// a repeated one: that it is attempted is kept before it is sent, and after an attempt whose outcome is unknown the record
// is looked for before anything is sent again.
type once struct {
	// what names the record in words.
	what string
	// id is where the record's id is kept, 0 while it is not known, and begun is where it is kept when the making was last
	// attempted.
	id    *int64
	begun *time.Time
	// earlier is when a run before this one last attempted it; zero if none did, so that there is nothing to look for.
	earlier time.Time
	// settle is how long an attempt is given before what was not found counts as not made (A45).
	settle time.Duration
	// find looks for a record of an earlier attempt and returns its id, or 0. create sends it. keep writes id and begun
	// into the store.
	find   func(ctx context.Context) (int64, error)
	create func(ctx context.Context) (int64, error)
	keep   func(ctx context.Context) error
}

// make makes the record, unless it is there.
func (o once) make(ctx context.Context) error {
	if *o.id != 0 {
		return nil
	}
	if !o.earlier.IsZero() {
		doing(ctx, "looking for the "+o.what)
		found, err := o.find(ctx)
		if err != nil {
			return err
		}
		if found != 0 {
			*o.id = found
			return o.keep(ctx)
		}
		if time.Since(o.earlier) < o.settle {
			return faultf(OutcomeUnknown, "the %s may still be on its way into Sage", o.what)
		}
	}
	before := *o.begun
	*o.begun = time.Now()
	if err := o.keep(ctx); err != nil {
		return err
	}
	doing(ctx, "making the "+o.what)
	made, err := o.create(ctx)
	if err == nil {
		*o.id = made
		return o.keep(ctx)
	}
	if call := transport.AsError(err); call != nil && !call.MayHaveLanded {
		*o.begun = before // it did not reach Sage, so the next run need not look for it
		if unnoted := o.keep(ctx); unnoted != nil {
			return errors.Join(err, unnoted)
		}
	}
	return err
}

package connections

import "github.com/tallystick/tallystick/clients/ghl"

// Quota is what HighLevel last said to this process of the calls that a location may make in a day, and false if this
// process has not called it yet.
func (d *Directory) Quota(location string) (ghl.Quota, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.places[location]; p != nil {
		return p.limiter.Quota()
	}
	return ghl.Quota{}, false
}

package sage

import (
	"context"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/transport"
)

// ChangedMargin is how far back before the moment asked for [Orders.Changed] looks. The zone of Sage's dates is doubtful,
// and so is the zone in which it understands a date in a filter (A60): either may be off by half a day, and an hour more
// where clocks change.
const ChangedMargin = 24 * time.Hour

// changedPageSize brings what changed in a day in a call or two. Integrations read 300 rows at once (A74).
const changedPageSize = 300

// ChangedOptions say which changed orders are wanted.
type ChangedOptions struct {
	// ExtIDPrefix keeps to orders whose external id begins so, such as "ghl:order:"; all if empty. A tenant may hold many
	// orders that nobody else knows of, so Sage is asked for these only, if it can be (A111).
	ExtIDPrefix string
	// Margin replaces ChangedMargin; negative is none. A smaller one fits only where the moment comes from Sage's own dates
	// and it is known that filters read them as they are shown.
	Margin time.Duration
	// PageSize is the number of rows a call brings, 300 if zero.
	PageSize int
}

// Changed reads the orders that were created, changed or deleted after a moment, by any hand, deleted ones included; all
// of them if the moment is zero. Orders that changed shortly before it are among them, see ChangedMargin: the caller
// tells by content what is new.
//
// dateUpdated is null until the first change, and whether a deletion moves it is not documented (A110), so three lists
// are read: by creation, by change and by deletion. An order in several of them is handed out once, and again only if it
// changed between the lists. What changes while a list is read may push rows into the next page, where they are
// recognised; an order that comes into a list on a page that was read already is left out, but its date is after the
// beginning. So the next reading must ask for what changed since the beginning of this one, not since its end.
//
// After an error the reading ends and counts for nothing.
func (o *Orders) Changed(ctx context.Context, since time.Time, options ChangedOptions) iter.Seq2[Order, error] {
	return func(yield func(Order, error) bool) {
		handedOut := map[int64]dates{}
		for _, date := range changeDates(since) {
			for order, err := range o.changedBy(ctx, date, since, options) {
				if err != nil {
					yield(Order{}, err)
					return
				}
				now := dates{order.DateUpdated, order.DateDeleted}
				if before, known := handedOut[order.ID]; known && before == now ||
					!strings.HasPrefix(order.ExtID, options.ExtIDPrefix) {
					continue
				}
				handedOut[order.ID] = now
				if !yield(order, nil) {
					return
				}
			}
		}
	}
}

// dates tell a row that has changed since it was read; a later list has the later ones.
type dates struct{ updated, deleted Time }

// dateDeleted is the date that a filter is least sure to understand.
const dateDeleted = "dateDeleted"

func changeDates(since time.Time) []string {
	if since.IsZero() {
		return []string{""}
	}
	return []string{"dateCreated", "dateUpdated", dateDeleted}
}

// changedBy reads one of the lists. Where Sage refuses the pattern on external ids, the list is read without it. Where it
// refuses to compare dates of deletion, there is no such list: a deletion then shows if it moves dateUpdated, or when
// the order is looked at for another reason (A110).
func (o *Orders) changedBy(ctx context.Context, date string, since time.Time, options ChangedOptions) iter.Seq2[Order, error] {
	return func(yield func(Order, error) bool) {
		filters := []Where{o.changedWhere(date, since, options)}
		if options.ExtIDPrefix != "" {
			filters = append(filters, o.changedWhere(date, since, ChangedOptions{Margin: options.Margin}))
		}
		size := options.PageSize
		if size == 0 {
			size = changedPageSize
		}
		for i, where := range filters {
			refused := false
			for order, err := range list[Order](ctx, o.client, listing{operation: o.operation(actionChanged), path: o.path,
				known: o.known, options: ListOptions{Where: where, Order: "dateCreated", PageSize: size}}) {
				last := i == len(filters)-1
				if refusesFilter(err) && (!last || date == dateDeleted) {
					refused = true
					break
				}
				if !yield(order, err) {
					return
				}
			}
			if !refused {
				return
			}
		}
	}
}

func (o *Orders) changedWhere(date string, since time.Time, options ChangedOptions) Where {
	margin := options.Margin
	switch {
	case margin == 0:
		margin = ChangedMargin
	case margin < 0:
		margin = 0
	}
	var filters []Where
	if date != "" {
		filters = append(filters, Gt(date, since.Add(-margin)))
	}
	if options.ExtIDPrefix != "" {
		filters = append(filters, Like("extId", options.ExtIDPrefix+"%"))
	}
	return And(filters...)
}

// refusesFilter tells whether Sage may have refused a filter for what it asks. A refusal comes before the first row.
func refusesFilter(err error) bool {
	e := transport.AsError(err)
	return e != nil && (e.Code == CodeFilter || e.Status == http.StatusBadRequest && e.Code == "")
}

package activities

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// lineLength is what Sage's published schema allows for a line's description, in characters (A65).
const lineLength = 2000

// lineChanges is what must be done so that an order's lines are those of its booking.
type lineChanges struct {
	// write holds, by position, what is to be written: onto the line of that id, or onto a new one where it is 0.
	write []lineWrite
	// remove are the ids of surplus lines that are ours.
	remove []int64
	// keep are the lines that stand already, or will once the writes are done with an id.
	keep []store.LineRecord
}

type lineWrite struct {
	position int
	id       int64
	fields   sage.LineFields
}

func (c lineChanges) none() bool { return len(c.write) == 0 && len(c.remove) == 0 }

// linePlan is what the lines of an order should be, and how ours are told from those of others.
//
// Lines have no external id. Ours are those that the ledger remembers; those that say word for word what a line of ours
// says, at its place; and those that the maker of the order put at a place of ours where the ledger knows of none. The
// latter two are what a step leaves behind that died before it could record them, or a write that landed late. Every
// other line is somebody else's and stays, unless all lines are to be ours.
type linePlan struct {
	want     []domain.BookingLine
	products map[string]int64 // by external id
	recorded []store.LineRecord
	// maker is the user whose lines may be ours, 0 on an order that was adopted.
	maker int64
	all   bool
}

// changes compares the lines that stand with the plan.
func (p linePlan) changes(have []sage.Line) lineChanges {
	var changes lineChanges
	ours := p.sort(have, &changes)
	for position, line := range p.want {
		var stands sage.Line
		if len(ours[position]) > 0 {
			stands = ours[position][0]
			for _, surplus := range ours[position][1:] {
				changes.remove = append(changes.remove, surplus.ID)
			}
		}
		fields, differs := lineFields(stands, line, p.products[line.Product.ExtID], position)
		if stands.ID != 0 {
			changes.keep = append(changes.keep, store.LineRecord{Position: position, SageID: stands.ID})
		}
		if stands.ID == 0 || differs {
			changes.write = append(changes.write, lineWrite{position: position, id: stands.ID, fields: fields})
		}
	}
	return changes
}

// sort puts our live lines to their positions, the recorded ones before the others and the oldest first, and marks those
// beyond the booking for removal.
func (p linePlan) sort(have []sage.Line, changes *lineChanges) [][]sage.Line {
	live := slices.DeleteFunc(slices.Clone(have), func(line sage.Line) bool { return bool(line.Deleted) })
	place := make(map[int64]int, len(p.recorded))
	for _, r := range p.recorded {
		place[r.SageID] = r.Position
	}
	taken := make(map[int]bool, len(p.recorded))
	for _, line := range live {
		if position, recorded := place[line.ID]; recorded {
			taken[position] = true
		}
	}
	slices.SortFunc(live, func(a, b sage.Line) int {
		_, first := place[a.ID]
		_, second := place[b.ID]
		if first != second {
			return map[bool]int{true: -1, false: 1}[first]
		}
		return cmp.Compare(a.ID, b.ID)
	})
	ours := make([][]sage.Line, len(p.want))
	for _, line := range live {
		position, known := place[line.ID]
		if !known {
			position, known = p.placeOf(line, taken)
		}
		switch {
		case known && position < len(p.want):
			ours[position] = append(ours[position], line)
		case known || p.all:
			changes.remove = append(changes.remove, line.ID)
		}
	}
	return ours
}

// placeOf tells whether a line that the ledger does not know is ours, and its place among ours. Where the ledger knows
// no line at all, the maker's are ours wherever they stand, for the booking may have been longer before (A58).
func (p linePlan) placeOf(line sage.Line, taken map[int]bool) (position int, ours bool) {
	at, whole := line.Position.Int64()
	position = int(at) - 1
	if !whole || position < 0 {
		return 0, false
	}
	made := p.maker != 0 && line.CreatedBy.ID == p.maker
	if position >= len(p.want) {
		return position, made && len(p.recorded) == 0
	}
	if made && !taken[position] {
		return position, true
	}
	want := p.want[position]
	_, differs := lineFields(line, want, p.products[want.Product.ExtID], position)
	return position, !differs
}

// lineFields gives what must be written so that a line says what the booking says, and whether that is anything. A new
// line is the zero line.
func lineFields(have sage.Line, want domain.BookingLine, product int64, position int) (sage.LineFields, bool) {
	var fields sage.LineFields
	differs := false
	set := func(different bool, assign func()) {
		if different {
			differs = true
			assign()
		}
	}
	fresh := have.ID == 0
	description := clip(strings.TrimSpace(want.Description), lineLength) // databases drop blanks at the end
	price, total, place := want.Price.Decimal(), want.Total.Decimal(), int64(position+1)
	quantity, whole := have.Quantity.Int64()
	at, placed := have.Position.Int64()
	set(fresh || have.ProductID.ID != product, func() { fields.ProductID = &product })
	set(fresh || !whole || quantity != want.Quantity, func() { fields.Quantity = &want.Quantity })
	set(fresh || !have.Price.Equal(price), func() { fields.Price = &price })
	set(fresh || !have.Total.Equal(total), func() { fields.Total = &total })
	set(fresh || have.Description != description, func() { fields.Description = &description })
	set(fresh || !placed || at != place, func() { fields.Position = &place })
	return fields, differs
}

// bringLines carries the changes out and returns our lines as they then stand.
func (b *bringing) bringLines(ctx context.Context, order sage.Order, changes lineChanges) ([]store.LineRecord, error) {
	lines := changes.keep
	for _, w := range changes.write {
		doing(ctx, "writing a line")
		if w.id != 0 {
			if err := b.conn.Lines.Update(ctx, w.id, w.fields); err != nil {
				return nil, b.doubtProducts(ctx, err)
			}
			continue
		}
		w.fields.OrderID = &order.ID
		id, err := b.conn.Lines.Create(ctx, w.fields)
		if err != nil {
			return nil, b.doubtProducts(ctx, err)
		}
		lines = append(lines, store.LineRecord{Position: w.position, SageID: id})
	}
	for _, id := range changes.remove {
		doing(ctx, "removing a surplus line")
		if err := b.conn.Lines.Delete(ctx, id); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(lines, func(a, b store.LineRecord) int { return a.Position - b.Position })
	return lines, nil
}

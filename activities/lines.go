package activities

import (
	"context"
	"slices"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// lineLength is what Sage's published schema allows for a line's description, in characters.
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

// planLines compares the lines of an order with its booking. Lines have no external id: ours are those that the ledger
// remembers, and those that whoever made the order put at a position of ours which the ledger has no line for, as a step
// leaves behind that died before it could record them. Every other line is somebody else's and stays, unless all lines
// are to be ours.
func planLines(want []domain.BookingLine, products map[string]int64, have []sage.Line, recorded []store.LineRecord,
	maker int64, all bool,
) lineChanges {
	var changes lineChanges
	ours := sortOurs(len(want), have, recorded, maker, all, &changes)
	for position, line := range want {
		var stands sage.Line
		if len(ours[position]) > 0 {
			stands = ours[position][0]
			for _, surplus := range ours[position][1:] {
				changes.remove = append(changes.remove, surplus.ID)
			}
		}
		fields, differs := lineFields(stands, line, products[line.Product.ExtID], position)
		if stands.ID != 0 {
			changes.keep = append(changes.keep, store.LineRecord{Position: position, SageID: stands.ID})
		}
		if stands.ID == 0 || differs {
			changes.write = append(changes.write, lineWrite{position: position, id: stands.ID, fields: fields})
		}
	}
	return changes
}

// sortOurs puts our live lines to their positions, the oldest first, and marks those beyond the booking for removal.
func sortOurs(positions int, have []sage.Line, recorded []store.LineRecord, maker int64, all bool,
	changes *lineChanges,
) [][]sage.Line {
	ours := make([][]sage.Line, positions)
	place := make(map[int64]int, len(recorded))
	taken := make(map[int]bool, len(recorded))
	for _, r := range recorded {
		place[r.SageID] = r.Position
		taken[r.Position] = true
	}
	for _, line := range have {
		if bool(line.Deleted) {
			continue
		}
		position, known := place[line.ID]
		if !known {
			at, whole := line.Position.Int64()
			position = int(at) - 1
			known = whole && line.CreatedBy.ID == maker && maker != 0 && position >= 0 && position < positions && !taken[position]
		}
		switch {
		case known && position < positions:
			ours[position] = append(ours[position], line)
		case known || all:
			changes.remove = append(changes.remove, line.ID)
		}
	}
	for _, lines := range ours {
		slices.SortFunc(lines, func(a, b sage.Line) int { return int(a.ID - b.ID) })
	}
	return ours
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
	description := clip(want.Description, lineLength)
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
				return nil, err
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

package store

import (
	"context"
	"fmt"
	"time"
)

// Alert is something that is wrong and that operators are told of: once when it begins, again after a time while it
// lasts, and once when it is over. It is known by location and cause.
//
// Telling is not the store's: RaiseAlert and ClearAlert say whether there is something to tell, and MarkAlertTold keeps
// that it was told. Whoever dies in between tells it again, so that nothing stays untold.
type Alert struct {
	// Location is empty for what concerns no single location, such as a queue of the cluster.
	Location string
	// Cause names what is wrong in a few words of ours that stay the same while it lasts, such as "token/reconnect".
	Cause string
	// Text says in a sentence what is wrong and what to do. It holds nothing secret or personal.
	Text string
	// Since is when it was first raised. OverAt is when it was cleared; zero while it lasts.
	Since, OverAt time.Time
	// ToldAt is when operators were last told of it, zero when they never were; ReminderAt is when they are to be told
	// again, zero when never.
	ToldAt, ReminderAt time.Time
	// OverTold tells that operators know that it is over.
	OverTold bool
}

const alertColumns = `location, cause, text, since, told_at, reminder_at, over_at, over_told`

// RaiseAlert says that something is wrong at a time, and tells whether operators are to be told of it now: it is new, they
// were never told, or the reminder is due. Only Location, Cause and Text of a are read. What is returned is the alert as
// kept; tell of that, and hand it to MarkAlertTold.
//
// One that is raised again after it was over begins anew, unless nobody was told that it was over: then it has lasted.
func (s *Store) RaiseAlert(ctx context.Context, a Alert, at time.Time) (Alert, bool, error) {
	if err := named(a.Cause); err != nil {
		return Alert{}, false, fmt.Errorf("raise an alert: %w", err)
	}
	row := s.write.QueryRowContext(ctx, `
		INSERT INTO alerts (`+alertColumns+`) VALUES ($1, $2, $3, $4, 0, 0, 0, FALSE)
		ON CONFLICT (location, cause) DO UPDATE SET
			text = excluded.text,
			since = CASE WHEN alerts.over_told THEN excluded.since ELSE alerts.since END,
			told_at = CASE WHEN alerts.over_told THEN 0 ELSE alerts.told_at END,
			reminder_at = CASE WHEN alerts.over_told THEN 0 ELSE alerts.reminder_at END,
			over_at = 0, over_told = FALSE
		RETURNING `+alertColumns, a.Location, a.Cause, a.Text, micros(at))
	raised, err := scanAlert(row)
	if err != nil {
		return Alert{}, false, fmt.Errorf("raise the alert %s: %w", a.Cause, err)
	}
	due := raised.ToldAt.IsZero() || !raised.ReminderAt.IsZero() && !raised.ReminderAt.After(at)
	return raised, due, nil
}

// MarkAlertTold keeps that operators were told of an alert at a time, as RaiseAlert or ClearAlert returned it: that it is
// over if its OverAt says so, else that it lasts, of which they are to be reminded after so long, or never if remind is 0.
// An alert that has begun anew since is left as it is.
func (s *Store) MarkAlertTold(ctx context.Context, a Alert, at time.Time, remind time.Duration) error {
	var err error
	if a.OverAt.IsZero() {
		var reminder time.Time
		if remind > 0 {
			reminder = at.Add(remind)
		}
		_, err = s.write.ExecContext(ctx,
			`UPDATE alerts SET told_at = $4, reminder_at = $5 WHERE location = $1 AND cause = $2 AND since = $3`,
			a.Location, a.Cause, micros(a.Since), micros(at), micros(reminder))
	} else {
		_, err = s.write.ExecContext(ctx,
			`UPDATE alerts SET over_told = TRUE WHERE location = $1 AND cause = $2 AND since = $3 AND over_at = $4`,
			a.Location, a.Cause, micros(a.Since), micros(a.OverAt))
	}
	if err != nil {
		return fmt.Errorf("mark the alert %s as told: %w", a.Cause, err)
	}
	return nil
}

// ClearAlert says that a cause is well at a time, and tells whether operators are to be told that the alert is over: they
// were told that it began, and not yet of its end. A cause that never was raised is no error, and costs one read.
func (s *Store) ClearAlert(ctx context.Context, location, cause string, at time.Time) (Alert, bool, error) {
	a, found, err := s.alert(ctx, location, cause)
	if err == nil && found && a.OverAt.IsZero() {
		// Nothing is to be said of the end of what nobody was told of.
		row := s.write.QueryRowContext(ctx, `
			UPDATE alerts SET over_at = $3, over_told = (told_at = 0)
			WHERE location = $1 AND cause = $2 AND over_at = 0 RETURNING `+alertColumns, location, cause, micros(at))
		if a, found, err = one(row, scanAlert); err == nil && !found { // cleared by another in between
			a, found, err = s.alert(ctx, location, cause)
		}
	}
	if err != nil {
		return Alert{}, false, fmt.Errorf("clear the alert %s: %w", cause, err)
	}
	return a, found && !a.OverAt.IsZero() && !a.OverTold, nil
}

func (s *Store) alert(ctx context.Context, location, cause string) (Alert, bool, error) {
	row := s.read.QueryRowContext(ctx, `SELECT `+alertColumns+` FROM alerts WHERE location = $1 AND cause = $2`, location, cause)
	return one(row, scanAlert)
}

// AlertFilter chooses alerts. Empty fields choose everything.
type AlertFilter struct {
	Location string
	// Open chooses what is not over.
	Open bool
	Page
}

// Alerts lists alerts, first begun first, and returns the next page's token, empty after the last page. An alert that is
// over is listed until its cause is raised again.
func (s *Store) Alerts(ctx context.Context, f AlertFilter) ([]Alert, string, error) {
	key, err := f.key(3)
	if err != nil {
		return nil, "", err
	}
	q := query{}
	conditions := q.equal("location", f.Location)
	if f.Open {
		conditions = append(conditions, "over_at = 0")
	}
	if key != nil {
		conditions = append(conditions, "(since, location, cause) > "+q.list(key...))
	}
	q.WriteString("SELECT " + alertColumns + " FROM alerts")
	q.where(conditions)
	q.WriteString(" ORDER BY since, location, cause LIMIT " + q.arg(f.limit()+1))
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list the alerts: %w", err)
	}
	return paged(rows, f.limit(), scanAlert, func(a Alert) string { return pageToken(a.Since, a.Location, a.Cause) })
}

// ForgetAlerts deletes the alerts of a location that were over before a time, told or not, and tells how many. It is for
// causes that never come back, such as those that name a record.
func (s *Store) ForgetAlerts(ctx context.Context, location string, before time.Time) (int64, error) {
	result, err := s.write.ExecContext(ctx,
		`DELETE FROM alerts WHERE location = $1 AND over_at > 0 AND over_at < $2`, location, micros(before))
	if err != nil {
		return 0, fmt.Errorf("delete old alerts: %w", err)
	}
	return result.RowsAffected()
}

func scanAlert(row scanner) (Alert, error) {
	var a Alert
	var since, told, reminder, over int64
	err := row.Scan(&a.Location, &a.Cause, &a.Text, &since, &told, &reminder, &over, &a.OverTold)
	a.Since, a.ToldAt, a.ReminderAt, a.OverAt = fromMicros(since), fromMicros(told), fromMicros(reminder), fromMicros(over)
	return a, err
}

package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tallystick/tallystick/internal/store"
)

const (
	// longestNews leaves room below what the webhook takes, where a message would be cut in the middle of a word.
	longestNews = 3500
	// crowd is from how many locations on the same cause is told once for all of them.
	crowd = 4
)

// tell tells the news as one message, and in the log, and notes that it did. Why a message did not arrive is no error.
func (r *round) tell(ctx context.Context, told news) (untold string, err error) {
	all := told.all()
	if len(all) == 0 {
		return "", nil
	}
	if r.Notify != nil && r.Notify.Enabled() {
		if err := r.Notify.Post(ctx, r.message(told)); err != nil {
			logger(ctx).Warn("operators could not be told what does not work, and will be with the next look; `starter status` shows it",
				"alerts", len(all), "reason", err.Error())
			return err.Error(), nil
		}
	}
	r.inLog(ctx, told)
	for _, a := range all {
		if err := r.Store.MarkAlertTold(ctx, a, r.now, r.Remind); err != nil {
			return "", err
		}
	}
	return "", nil
}

// inLog leaves out the names of locations, which are somebody's.
func (r *round) inLog(ctx context.Context, told news) {
	for _, group := range grouped(slices.Concat(told.began, told.remain)) {
		logger(ctx).Warn("something does not work: "+group[0].Text, "cause", group[0].Cause, "location", group[0].Location,
			"since", group[0].Since, "locations", len(group))
	}
	for _, group := range grouped(told.over) {
		logger(ctx).Info("it works again", "cause", group[0].Cause, "location", group[0].Location,
			"since", group[0].Since, "until", group[0].OverAt, "locations", len(group))
	}
}

// grouped puts alerts of one cause together. They are sorted by it.
func grouped(alerts []store.Alert) [][]store.Alert {
	var groups [][]store.Alert
	for _, a := range alerts {
		if n := len(groups); n > 0 && groups[n-1][0].Cause == a.Cause {
			groups[n-1] = append(groups[n-1], a)
			continue
		}
		groups = append(groups, []store.Alert{a})
	}
	return groups
}

// message is what operators read.
func (r *round) message(told news) string {
	if all := told.all(); len(all) == 1 {
		switch {
		case len(told.over) == 1:
			return "Tallystick: over: " + r.overLines(all)[0]
		case len(told.remain) == 1:
			return "Tallystick: still: " + r.openLines(all)[0]
		default:
			return "Tallystick: " + r.openLines(all)[0]
		}
	}
	text := fmt.Sprintf("Tallystick: %d things are wrong or have changed.", len(told.all()))
	left := 0
	for _, part := range []struct {
		title string
		lines func([]store.Alert) []string
		of    []store.Alert
	}{{"New:", r.openLines, told.began}, {"Still:", r.openLines, told.remain}, {"Over:", r.overLines, told.over}} {
		for i, group := range grouped(part.of) {
			lines := ""
			if i == 0 {
				lines = "\n" + part.title
			}
			for _, line := range part.lines(group) {
				lines += "\n• " + line
			}
			if left > 0 || utf8.RuneCountInString(text)+utf8.RuneCountInString(lines) > longestNews {
				left += len(group)
				continue
			}
			text += lines
		}
	}
	if left > 0 {
		text += fmt.Sprintf("\n… and %d more: `starter status` lists all that is wrong.", left)
	}
	return text
}

// openLines are the lines of one cause that lasts.
func (r *round) openLines(group []store.Alert) []string {
	if len(group) >= crowd {
		return []string{fmt.Sprintf("%s. Of the first: %s", r.crowdOf(group), group[0].Text)}
	}
	lines := make([]string, len(group))
	for i, a := range group {
		lines[i] = r.who(a.Location) + a.Text
	}
	return lines
}

// overLines are the lines of one cause that is over.
func (r *round) overLines(group []store.Alert) []string {
	if len(group) >= crowd {
		return []string{fmt.Sprintf("%s: %s", r.crowdOf(group), r.title(group[0].Cause))}
	}
	lines := make([]string, len(group))
	for i, a := range group {
		lines[i] = fmt.Sprintf("%s%s, from %s to %s.", r.who(a.Location), r.title(a.Cause), moment(a.Since), moment(a.OverAt))
	}
	return lines
}

func (r *round) crowdOf(group []store.Alert) string {
	return fmt.Sprintf("%d locations, among them %s and %s", len(group), r.name(group[0].Location), r.name(group[1].Location))
}

// who begins a line about a location.
func (r *round) who(location string) string {
	if location == "" {
		return ""
	}
	return "HighLevel location " + r.name(location) + ": "
}

func (r *round) name(location string) string {
	if c := r.connections[location]; c.Name != "" {
		return fmt.Sprintf("%s (%s)", c.Name, location)
	}
	return location
}

// title is what was wrong, for those who read that it is over.
func (r *round) title(cause string) string {
	kind, of := kindOfCause(cause)
	words := of
	for _, sweep := range r.Sweeps {
		if sweep.Mark == of {
			words = sweep.Words
		}
	}
	switch kind {
	case blind:
		return "the watchdog could not see the " + of
	case noWorker:
		return "no worker took work from the task queue " + of
	case backlog:
		return "urgent work waited in the task queue " + of
	case reconnect:
		return "it gave no access"
	case expired:
		return "its access token was not renewed"
	case unfollowed:
		return "a change of the connection was not followed"
	case unplanned:
		return "the schedule was paused or missing: " + words
	case late:
		return "it was late: " + words
	case fewCalls:
		return "few calls of the day were left at HighLevel"
	case parked:
		return "items were parked as " + of
	}
	return strings.ReplaceAll(kind, "-", " ") // an older version's
}

package schedules

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/workflows"
)

// Watchdog is the one schedule of the watchdog.
func Watchdog(every time.Duration) Item {
	return Item{ID: workflows.WatchdogID, Kind: Watch, Every: every}
}

// KeepWatchdog makes the watchdog's schedule what it should be, or deletes it where the interval is 0. One that somebody
// paused stays paused.
func KeepWatchdog(ctx context.Context, c client.ScheduleClient, every time.Duration) error {
	items := []Item{Watchdog(every)}
	if every == 0 {
		return Remove(ctx, c, items)
	}
	_, err := Apply(ctx, c, items, ApplyOptions{})
	return err
}

// surveyPage is how many schedules are listed at once.
const surveyPage = 1000

// Survey tells how all schedules of the namespace stand, by their ids. It asks the server's list, with one call for very
// many of them, which may lag some seconds behind.
func Survey(ctx context.Context, c client.ScheduleClient) (map[string]activities.ScheduleStanding, error) {
	list, err := c.List(ctx, client.ScheduleListOptions{PageSize: surveyPage})
	if err != nil {
		return nil, fmt.Errorf("list the schedules: %w", err)
	}
	standings := map[string]activities.ScheduleStanding{}
	for list.HasNext() {
		entry, err := list.Next()
		if err != nil {
			return nil, fmt.Errorf("list the schedules: %w", err)
		}
		standings[entry.ID] = activities.ScheduleStanding{Paused: entry.Paused, ByHand: entry.Paused && byHand(entry.Note)}
	}
	return standings, nil
}

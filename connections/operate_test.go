package connections

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
)

// ownSettings name a tenant of their own, and a private token if one is given.
func ownSettings(token string) config.Settings {
	var s config.Settings
	s.Sage.PublicKey, s.Sage.PrivateKey = "own public", "own private"
	s.GHL.PrivateToken = secret.Text(token)
	return s
}

func TestAddByPrivateToken(t *testing.T) {
	s := newSite(t)
	_, err := s.Add(t.Context(), bakery, ownSettings(""))
	require.ErrorContains(t, err, "GHL_PRIVATE_TOKEN")
	_, err = s.Add(t.Context(), "a/b", ownSettings("pit"))
	require.Error(t, err)
	c, err := s.Add(t.Context(), bakery, ownSettings("pit-secret"))
	require.NoError(t, err)
	assert.Equal(t, store.Active, c.State)
	assert.Equal(t, store.SageOfItsOwn, c.Sage)
	assert.Equal(t, store.ByPrivateToken, c.Access)
	opened, err := OpenSettings(s.Ring, bakery, c.Settings)
	require.NoError(t, err)
	assert.Equal(t, "pit-secret", opened.GHL.PrivateToken.Reveal())
	_, err = OpenSettings(s.Ring, harbour, c.Settings)
	require.Error(t, err, "they open for their location only")
	_, err = s.Add(t.Context(), bakery, ownSettings("another"))
	require.ErrorIs(t, err, ErrState)
	assert.NotContains(t, s.log.String(), "pit-secret")
	assert.Equal(t, []string{"operator add active"}, s.audits(bakery))

	without := ownSettings("pit")
	without.Sage = config.Sage{}
	c, err = s.Add(t.Context(), harbour, without)
	require.NoError(t, err)
	assert.Equal(t, store.Active, c.State, "the environment's tenant was free")
	c, err = s.Add(t.Context(), attic, without)
	require.NoError(t, err)
	assert.Equal(t, store.Pending, c.State)
}

func TestSet(t *testing.T) {
	s := newSite(t, withoutSage)
	s.connect(bakery)
	own := ownSettings("")
	none := config.Settings{}
	_, err := s.Set(t.Context(), bakery, nil, "elsewhere")
	require.Error(t, err)
	_, err = s.Set(t.Context(), bakery, nil, store.SageOfItsOwn)
	require.ErrorIs(t, err, ErrNoSage)
	_, err = s.Set(t.Context(), bakery, &none, store.SageOfItsOwn)
	require.ErrorIs(t, err, ErrNoSage)
	_, err = s.Set(t.Context(), attic, &own, "")
	require.ErrorIs(t, err, ErrUnknown)
	c, err := s.Set(t.Context(), bakery, &own, "")
	require.NoError(t, err)
	assert.Equal(t, store.Active, c.State)
	assert.Equal(t, store.SageOfItsOwn, c.Sage)
	_, err = s.Set(t.Context(), bakery, &none, "")
	require.ErrorIs(t, err, ErrNoSage, "its tenant would be gone")
	c, err = s.Set(t.Context(), bakery, nil, store.SageOfEnvironment)
	require.NoError(t, err)
	assert.Equal(t, store.SageOfEnvironment, c.Sage)
	assert.False(t, c.Settings.IsZero(), "kept, for the way back")

	s.force(bakery, store.Reconnect)
	c, err = s.Set(t.Context(), bakery, &own, "")
	require.NoError(t, err)
	assert.Equal(t, store.Reconnect, c.State, "these bring no new access")
	withToken := ownSettings("pit")
	c, err = s.Set(t.Context(), bakery, &withToken, "")
	require.NoError(t, err)
	assert.Equal(t, store.Active, c.State)
	assert.Equal(t, store.ByPrivateToken, c.Access)
	c, err = s.Set(t.Context(), bakery, &own, "")
	require.NoError(t, err)
	opened, err := OpenSettings(s.Ring, bakery, c.Settings)
	require.NoError(t, err)
	assert.Equal(t, "pit", opened.GHL.PrivateToken.Reveal(), "a file without a token does not lose it")
	s.force(bakery, store.Retired)
	_, err = s.Set(t.Context(), bakery, &own, "")
	require.ErrorIs(t, err, ErrState)
}

func TestStatesMoveOnlyAsTheyMay(t *testing.T) {
	type moves map[store.ConnectionState]store.ConnectionState // absent: ErrState
	for name, c := range map[string]struct {
		do   func(*site) (store.Connection, error)
		want moves
	}{
		"pause": {func(s *site) (store.Connection, error) { return s.Pause(s.t.Context(), bakery, "ann", "stocktaking") }, moves{
			store.Active: store.Paused, store.Reconnect: store.Paused, store.Paused: store.Paused}},
		"resume": {func(s *site) (store.Connection, error) { return s.Resume(s.t.Context(), bakery, "ann", "") }, moves{
			store.Active: store.Active, store.Reconnect: store.Active, store.Paused: store.Active, store.Pending: store.Active}},
		"remove": {func(s *site) (store.Connection, error) { return s.Remove(s.t.Context(), bakery, "ann", "") }, moves{
			store.Active: store.Leaving, store.Reconnect: store.Leaving, store.Paused: store.Leaving, store.Pending: store.Leaving,
			store.Leaving: store.Leaving, store.Retired: store.Retired}},
	} {
		s := newSite(t)
		_, err := c.do(s)
		assert.ErrorIs(t, err, ErrUnknown, name)
		for _, state := range []store.ConnectionState{
			store.Pending, store.Active, store.Paused, store.Reconnect, store.Leaving, store.Retired,
		} {
			before := s.force(bakery, state, func(c *store.Connection) { c.Sage, c.Note = store.SageOfEnvironment, "before" })
			seen := len(s.audits(bakery))
			after, err := c.do(s)
			want, may := c.want[state]
			if !may {
				assert.ErrorIs(t, err, ErrState, "%s of %s", name, state)
				assert.Equal(t, before, s.row(bakery), "%s of %s", name, state)
				continue
			}
			require.NoError(t, err, "%s of %s", name, state)
			assert.Equal(t, want, after.State, "%s of %s", name, state)
			assert.Equal(t, after, s.row(bakery))
			if after.Version != before.Version {
				audits := s.audits(bakery)
				assert.Greater(t, len(audits), seen)
				assert.Contains(t, audits[len(audits)-1], "ann "+name)
			}
		}
	}
}

func TestAnAgencyIsRemoved(t *testing.T) {
	s := newSite(t)
	_, err := s.RemoveAgency(t.Context(), guild, "ann", "")
	require.ErrorIs(t, err, ErrUnknown)
	s.connect("company", "company", guild)
	_, err = s.Choose(t.Context(), guild, []string{bakery})
	require.NoError(t, err)
	s.connect(attic)
	removed, err := s.RemoveAgency(t.Context(), guild, "ann", "")
	require.NoError(t, err)
	assert.Len(t, removed, 2, "one that works, and one that was only offered")
	for _, location := range []string{bakery, harbour} {
		assert.Equal(t, store.Leaving, s.row(location).State)
	}
	assert.Empty(t, s.token(store.TokenOfCompany(guild)))
	assert.Equal(t, store.Pending, s.row(attic).State, "it is another's, and has a pair of its own")
	assert.NotEmpty(t, s.token(store.TokenOfLocation(attic)))
	again, err := s.RemoveAgency(t.Context(), guild, "ann", "")
	require.NoError(t, err, "as after a crash")
	assert.Len(t, again, 2)
}

func TestTheEnvironmentsLocationComesBack(t *testing.T) {
	s := newSite(t, func(o *InstallerOptions) { o.Config.GHL.LocationID, o.Config.GHL.PrivateToken = bakery, "pit" })
	s.force(bakery, store.Retired, func(c *store.Connection) { c.Access, c.Sage = store.ByPrivateToken, store.SageOfEnvironment })
	c, err := s.Resume(t.Context(), bakery, "ann", "")
	require.NoError(t, err)
	assert.Equal(t, store.Active, c.State)
}

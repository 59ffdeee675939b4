package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/starter/preflight"
)

// looking makes of each connection what a preflight looks at. It changes nothing.
type looking struct {
	config config.Config
	// store is nil where there is no database yet, ring without SECRET_KEYS.
	store *store.Store
	ring  *secret.Ring
}

// connections are those of the store, and the environment's if it is not there yet. A location chooses one of them.
func (l looking) connections(ctx context.Context, location string) ([]preflight.Connection, error) {
	rows, err := l.rows(ctx)
	if err != nil {
		return nil, err
	}
	options := connections.Options{Config: l.config, Store: l.store, Ring: l.ring, Regardless: true}
	if l.ring == nil {
		options.Store = nil
	}
	directory, err := connections.Open(options)
	if err != nil {
		return nil, err
	}
	defer directory.Close()
	var list []preflight.Connection
	for _, c := range rows {
		if location != "" && location != c.Location || location == "" && !present(c) {
			continue
		}
		looked := preflight.Connection{Connection: c, OfEnvironment: l.ofEnvironment(c), Asked: l.config.GHL.Scopes}
		if present(c) {
			if err := l.clients(ctx, directory, &looked); err != nil {
				return nil, err
			}
		}
		list = append(list, looked)
	}
	if location != "" && len(list) == 0 {
		return nil, fmt.Errorf("location %s is not connected here: `starter connect list` shows those that are", location)
	}
	return list, nil
}

func (l looking) rows(ctx context.Context) (rows []store.Connection, err error) {
	if l.store != nil {
		if rows, err = listConnections(ctx, l.store, store.ConnectionFilter{}); err != nil {
			return nil, err
		}
	}
	home := l.config.GHL.LocationID
	if home == "" || l.config.GHL.PrivateToken == "" {
		return rows, nil
	}
	for _, c := range rows {
		if c.Location == home {
			return rows, nil
		}
	}
	return append(rows, store.Connection{
		Location: home, Access: store.ByPrivateToken, State: store.Active, Sage: store.SageOfEnvironment,
		Note: "of the environment; worker and starter make it a connection at their start",
	}), nil
}

func (l looking) ofEnvironment(c store.Connection) bool {
	return c.Access == store.ByPrivateToken && c.Location == l.config.GHL.LocationID && c.Settings.IsZero()
}

// clients gives a connection what it is looked at with. That one of them cannot be made is a finding.
func (l looking) clients(ctx context.Context, d *connections.Directory, c *preflight.Connection) error {
	if l.ring == nil && !c.OfEnvironment {
		c.GHLFault = errors.New("its token is sealed, and SECRET_KEYS is not set")
		c.SageFault = c.GHLFault
		return nil
	}
	if c.Access == store.ByPrivateToken {
		c.GHL, c.GHLFault = d.GHL(ctx, c.Location)
	} else if err := l.stored(ctx, c); err != nil {
		return err
	}
	c.Settings, c.Shipping, c.SageFault = l.tenant(c.Connection)
	if c.SageFault == nil && c.Connection.Sage != store.SageUndecided {
		c.Sage, _, c.SageFault = d.Sage(ctx, c.Location)
		c.Tenant = fmt.Sprint(c.Connection.Sage, c.Settings.BaseURL, c.Settings.PublicKey.Reveal())
		if c.Connection.Sage == store.SageOfItsOwn {
			c.Tenant += c.Location // the same tenant may be set up in another way
		}
	}
	return nil
}

// tenant is how the Sage tenant of a connection is set up, and how the shipping of its orders is followed.
func (l looking) tenant(c store.Connection) (config.Sage, config.Shipping, error) {
	if c.Sage != store.SageOfItsOwn {
		return l.config.Sage, l.config.Shipping, nil
	}
	own, err := connections.OpenSettings(l.ring, c.Location, c.Settings)
	if own.Shipping == nil { // sealed before a connection could have its own
		own.Shipping = &l.config.Shipping
	}
	return own.Sage, *own.Shipping, err
}

// stored makes a client that uses the stored access token as it is. The directory's would renew one that ends soon, and a
// look must not use up a refresh token.
func (l looking) stored(ctx context.Context, c *preflight.Connection) error {
	if c.Access == store.ByAgency {
		agency, _, err := l.store.Token(ctx, store.TokenOfCompany(c.Company))
		if err != nil {
			return err
		}
		c.GrantedToAgency = preflight.Granted(agency.Scopes)
	}
	row, found, err := l.store.Token(ctx, store.TokenOfLocation(c.Location))
	if err != nil || !found {
		return err
	}
	c.Granted, c.Expires = preflight.Granted(row.Scopes), row.Expires
	access, err := connections.AccessToken(l.ring, row)
	if c.GHLFault = err; access != "" {
		c.GHL, c.GHLFault = ghl.New(ghl.Options{
			BaseURL: string(l.config.GHL.BaseURL), LocationID: c.Location, Credentials: ghl.StaticToken(access), ReadOnly: true,
		})
	}
	return nil
}

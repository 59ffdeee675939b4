// Package oauth is the part of the front door by which people connect locations: it sends a browser to HighLevel's page,
// takes the browser back with a code, and shows what came of it. For an agency it shows the locations to choose from.
//
// It keeps no token and decides nothing about connections: package connections does. The starter's server mounts a
// Handler; Link makes the links that `starter connect` prints.
//
// What stands against whom:
//
//   - Only who has a link of `starter connect`, or is admitted otherwise, gets to HighLevel's page from here, for whoever
//     gets there brings a location into these books.
//   - A code is taken only from the browser that was sent off: a cookie holds the state, sealed, and HighLevel brings it
//     back. So nobody can have a stranger's browser connect the stranger's books to a location of his own, and none of
//     the two works twice or for long.
//   - Nothing that comes through the browser says which location or agency it is, nor where to go next.
//   - Pages have no script, may not be framed, are not cached, and tell no other page their address. The log gets
//     neither codes nor states, nor any text of a request.
package oauth

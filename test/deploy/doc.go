// Package deploy tests the image: it builds it and runs it against the real servers.
package deploy

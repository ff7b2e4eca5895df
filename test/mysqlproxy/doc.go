// Package mysqlproxy is a proxy in front of a MySQL for tests. It responds to chosen statements with an error of the server, refuses
// connections, and moves to another server, as a failover behind one address does.
package mysqlproxy

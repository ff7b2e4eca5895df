package redisconn

import (
	"context"
	"crypto/rand"
	"fmt"
)

// location is where Instance found an instance.
type location struct{ instance, addr string }

// noInstance is the identity of no Redis.
func noInstance() string { return "none-" + rand.Text() }

// Instance reads the identity of the Redis behind the address, on a connection of its own: its run_id, which changes when it is
// restarted, and its replication id, which changes when it is promoted. With Sentinels it is that of the primary that a majority of them names,
// or while there is no majority, of the Redis where it was before; Confirm distinguishes the two.
func (c *Conn) Instance(ctx context.Context) (string, error) {
	if c.cfg.Embedded {
		return embeddedInstance, nil
	}
	addr, err := c.locate(ctx)
	if err != nil {
		return "", err
	}
	instance, err := c.fence.instance(ctx, addr, c.cfg.TLS)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.located = location{instance: instance, addr: addr}
	return instance, nil
}

func (c *Conn) locate(ctx context.Context) (string, error) {
	if c.sentinels == nil {
		return c.cfg.Addr, nil
	}
	addr, err := c.sentinels.primary(ctx)
	if err == nil {
		return addr, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.located.addr == "" {
		return "", err
	}
	return c.located.addr, nil
}

// Confirm returns ErrNoMajority unless a majority of the Sentinels names, at the time of the call, the Redis in which Instance last found the
// instance. Without Sentinels it returns nil.
func (c *Conn) Confirm(ctx context.Context, instance string) error {
	if c.sentinels == nil {
		return nil
	}
	addr, err := c.sentinels.primary(ctx)
	if err != nil {
		return err
	}
	if at := c.addressOf(instance); addr != at {
		return fmt.Errorf("%w: it is at %q, and they name %s", ErrNoMajority, at, addr)
	}
	return nil
}

// addressOf returns where the instance is; empty if Instance did not find it last.
func (c *Conn) addressOf(instance string) string {
	if c.sentinels == nil {
		return c.cfg.Addr
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.located.instance != instance {
		return ""
	}
	return c.located.addr
}

// Allow makes the instance, which Instance has returned last, the only one that commands are sent to.
func (c *Conn) Allow(instance string) { c.fence.allow(instance, c.addressOf(instance)) }

// Disallow closes all connections, and sends no command until the next Allow.
func (c *Conn) Disallow() { c.fence.allow(noInstance(), "") }

// OnChange registers a function that is called when another instance is behind the address; it must not block.
func (c *Conn) OnChange(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = append(c.changed, f)
}

func (c *Conn) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.changed {
		f()
	}
}

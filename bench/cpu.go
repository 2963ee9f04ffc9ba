package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"
)

// clockTick is the unit of times in /proc: the kernel tells user space 1/100 s,
// whatever its own is.
const clockTick = 10 * time.Millisecond

// usage is CPU time, in user and kernel, since something began.
type usage struct {
	server    time.Duration
	database  time.Duration // of processes of its own
	generator time.Duration // this process
	machine   time.Duration // all processes, and what other machines took from this one
}

func (u usage) since(before usage) usage {
	return usage{u.server - before.server, u.database - before.database, u.generator - before.generator, u.machine - before.machine}
}

// others is what had nothing to do with the load, or cannot be told from that.
func (u usage) others() time.Duration { return max(0, u.machine-u.server-u.database-u.generator) }

// process is what /proc tells of one.
type process struct {
	parent  int
	own     time.Duration
	waited  time.Duration // of its children that have ended
	present bool
}

func readProcess(pid int) (process, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return process{}, nil // it has ended
	}
	if err != nil {
		return process{}, err
	}
	return parseStat(stat)
}

// parseStat reads what proc_pid_stat(5) describes. The name, in parentheses, may
// hold anything.
func parseStat(stat []byte) (process, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const parent, user, system, waitedUser, waitedSystem = 1, 11, 12, 13, 14
	if len(fields) <= waitedSystem {
		return process{}, fmt.Errorf("/proc/PID/stat reads %q", stat)
	}
	number := func(i int) time.Duration {
		n, _ := strconv.Atoi(string(fields[i]))
		return time.Duration(n)
	}
	return process{
		parent:  int(number(parent)),
		own:     (number(user) + number(system)) * clockTick,
		waited:  (number(waitedUser) + number(waitedSystem)) * clockTick,
		present: true,
	}, nil
}

// family is the CPU time of a process and its children, those included that
// have ended.
func family(pid int) (time.Duration, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	head, err := readProcess(pid)
	total := head.own + head.waited
	for _, entry := range entries {
		child, atoiErr := strconv.Atoi(entry.Name())
		if atoiErr != nil || err != nil {
			continue
		}
		var p process
		if p, err = readProcess(child); p.parent == pid {
			total += p.own + p.waited
		}
	}
	return total, err
}

// ownUsage is the CPU time of this process.
func ownUsage() (time.Duration, error) {
	var r syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), err
}

// machineUsage is what all processors have done since the start.
func machineUsage() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	const idle, waiting, stolen = 4, 5, 8 // proc_stat(5); what comes behind is counted already
	var total time.Duration
	for i, field := range bytes.Fields(line) {
		if n, err := strconv.Atoi(string(field)); err == nil && i != idle && i != waiting && i <= stolen {
			total += time.Duration(n) * clockTick
		}
	}
	return total, nil
}

// withMachine adds what this process and the machine have used.
func (u usage) withMachine() (usage, error) {
	var err error
	if u.generator, err = ownUsage(); err != nil {
		return u, err
	}
	u.machine, err = machineUsage()
	return u, err
}

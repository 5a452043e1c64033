//go:build unix && !darwin

package main

// rssUnit is the unit of getrusage's ru_maxrss in bytes.
const rssUnit = 1024

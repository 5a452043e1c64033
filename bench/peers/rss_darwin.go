package main

// rssUnit is the unit of getrusage's ru_maxrss in bytes.
const rssUnit = 1

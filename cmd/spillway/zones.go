package main

// The program brings the time zones: with TZ=Europe/Berlin its log has local times also where there is no /usr/share/zoneinfo, as in the image.
import _ "time/tzdata"

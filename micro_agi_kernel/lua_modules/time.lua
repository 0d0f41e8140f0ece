-- time: instants, durations, zones, timers; its parts stand in the files time_*.lua.
local native, _, sleep, timer, part = ...

local arguments = part("arguments")
local durations = part("durations", native, arguments)
local locations = part("locations", native, arguments)
local times = part("times", native, arguments, durations, locations)
local scheduling = part("scheduling", sleep, timer, durations, times.now)

local time = {
  now = times.now, unix = times.unix, date = times.date, parse = times.parse,
  parse_duration = durations.parse,
  utc = locations.utc, localtz = locations.localtz,
  load_location = locations.load, fixed_zone = locations.fixed,
  sleep = scheduling.sleep, after = scheduling.after, timer = scheduling.timer, ticker = scheduling.ticker,
}

time.NANOSECOND = 1
time.MICROSECOND = 1000
time.MILLISECOND = 1000000
time.SECOND = 1000000000
time.MINUTE = 60 * time.SECOND
time.HOUR = 60 * time.MINUTE

time.RFC3339 = times.RFC3339
time.RFC3339NANO = "2006-01-02T15:04:05.999999999Z07:00"
time.RFC822 = "02 Jan 06 15:04 MST"
time.RFC822Z = "02 Jan 06 15:04 -0700"
time.RFC850 = "Monday, 02-Jan-06 15:04:05 MST"
time.RFC1123 = "Mon, 02 Jan 2006 15:04:05 MST"
time.RFC1123Z = "Mon, 02 Jan 2006 15:04:05 -0700"
time.DATE_TIME = "2006-01-02 15:04:05"
time.DATE_ONLY = "2006-01-02"
time.TIME_ONLY = "15:04:05"
time.KITCHEN = "3:04PM"
time.STAMP = "Jan _2 15:04:05"
time.STAMP_MILLI = "Jan _2 15:04:05.000"
time.STAMP_MICRO = "Jan _2 15:04:05.000000"
time.STAMP_NANO = "Jan _2 15:04:05.000000000"

time.JANUARY, time.FEBRUARY, time.MARCH, time.APRIL, time.MAY, time.JUNE = 1, 2, 3, 4, 5, 6
time.JULY, time.AUGUST, time.SEPTEMBER, time.OCTOBER, time.NOVEMBER, time.DECEMBER = 7, 8, 9, 10, 11, 12

time.SUNDAY, time.MONDAY, time.TUESDAY, time.WEDNESDAY = 0, 1, 2, 3
time.THURSDAY, time.FRIDAY, time.SATURDAY = 4, 5, 6

return time

-- time: locations, the zones of clocks.
local native, arguments = ...

local must, is, check, integer = arguments.must, arguments.is, arguments.check, arguments.integer

local Location = {}
Location.__index = Location

-- A zone of the table by its name, or (with `offset`) a fixed one, whose abbreviation is `zone`.
local function new_location(name, zone, offset)
  return setmetatable({_name = name, _zone = zone, _offset = offset}, Location)
end

local utc = new_location("UTC", "UTC", 0)
local localtz = new_location("Local", "UTC", 0)

local function load_location(name)
  if type(name) ~= "string" or name == "" then
    return nil, invalid("location name must be a string that is not empty")
  end
  if name == "UTC" then return utc end
  if name == "Local" then return localtz end
  local zone, err = native("zone", name)
  if err then return nil, err end
  return new_location(zone, zone, false)
end

local function fixed_zone(name, offset)
  name = must(native("fixed_zone_name", name))
  return new_location(name, name, integer(offset, "offset"))
end

function Location:string()
  check(Location, self, "location:string()")
  return self._name
end

Location.__tostring = Location.string

local function location(value)
  if value == nil then return localtz end
  if not is(value, Location) then error(invalid("location must be a Location, such as time.utc")) end
  return value
end

return {utc = utc, localtz = localtz, load = load_location, fixed = fixed_zone, location = location}

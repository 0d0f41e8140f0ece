-- time: locations, the zones of clocks.
local native, arguments = ...

local integer = arguments.integer

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
  local zone, err = native("load_location", name)
  if err then return nil, err end
  return new_location(zone, zone, false)
end

local function fixed_zone(name, offset)
  name = must(native("fixed_zone_name", must(arguments.text(name, "zone name"))))
  return new_location(name, name, integer(offset, "offset"))
end

function Location:string()
  check_self(Location, self, "location:string()")
  return self._name
end

Location.__tostring = Location.string

-- `value` when it is a Location, `default` when it is nil; or nil and an error.
local function location(value, default)
  if value == nil and default then return default end
  if getmetatable(value) == Location then return value end
  return nil, invalid("location must be a Location, such as time.utc")
end

return {
  utc = utc, localtz = localtz, new = new_location, load = load_location, fixed = fixed_zone, location = location,
}

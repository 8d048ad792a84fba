-- How Argo CD sees a LoaderTask: resource.customizations.health.streamforge.io_LoaderTask in argocd-cm.
-- A load of history is Progressing until it is Complete; a live load is Healthy while it runs.
local function condition(kind)
  for _, one in ipairs(obj.status.conditions or {}) do
    if one.type == kind then
      return one
    end
  end
  return {}
end

local function health(status, message)
  return { status = status, message = message or "" }
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "the load is stopped, then the task goes")
end
if obj.status == nil or obj.status.conditions == nil then
  return health("Progressing", "not seen by the operator yet")
end

local failed = condition("Failed")
if failed.status == "True" then
  return health("Degraded", failed.reason .. ": " .. (failed.message or ""))
end
local complete = condition("Complete")
if complete.status == "True" then
  return health("Healthy", complete.message)
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "the change is not seen by the operator yet")
end
local stalled = condition("Stalled")
if stalled.status == "True" then
  return health("Degraded", stalled.reason .. ": " .. (stalled.message or ""))
end
local suspended = condition("Suspended")
if suspended.status == "True" then
  return health("Suspended", suspended.message)
end
local is_live = string.sub(obj.spec.type or "", 1, 3) == "ws_"
if is_live and condition("Running").status == "True" then
  return health("Healthy", obj.status.message)
end
return health("Progressing", obj.status.message)

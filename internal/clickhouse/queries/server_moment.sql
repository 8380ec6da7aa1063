-- Which server answers, and its clock.
SELECT serverUUID(), now64(6)

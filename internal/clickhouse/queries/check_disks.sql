-- How much room the server has on each of its disks. What merges and inserts that go on have reserved is not free.
SELECT name, unreserved_space, total_space
FROM system.disks
ORDER BY name
